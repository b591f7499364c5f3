import { fireEvent, render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { SearchField } from "@/components/ui/search-field";

describe("SearchField", () => {
  const onChange = vi.fn();
  const field = (value: string) => <SearchField label="Filter" value={value} onChange={onChange} />;
  const type = (text: string) => fireEvent.change(screen.getByLabelText("Filter"), { target: { value: text } });

  it("keeps what is typed while the address follows", () => {
    const { rerender } = render(field(""));
    type("o");
    type("op");
    expect(screen.getByLabelText("Filter")).toHaveValue("op");
    rerender(field("o"));
    expect(screen.getByLabelText("Filter")).toHaveValue("op");
    rerender(field("op"));
    expect(screen.getByLabelText("Filter")).toHaveValue("op");
    expect(onChange.mock.calls).toEqual([["o"], ["op"]]);
  });

  it("takes over a text that was not typed into it", () => {
    const { rerender } = render(field(""));
    type("op");
    rerender(field("op"));
    rerender(field(""));
    expect(screen.getByLabelText("Filter")).toHaveValue("");
    rerender(field("op"));
    expect(screen.getByLabelText("Filter")).toHaveValue("op");
  });
});
