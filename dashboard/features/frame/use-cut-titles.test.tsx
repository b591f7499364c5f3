import { fireEvent, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";

import { useCutTitles } from "@/features/frame/use-cut-titles";
import { show } from "@/tests/render";

function Names() {
  useCutTitles();
  return (
    <table>
      <tbody>
        <tr>
          <td className="grow"><bdi>a long name</bdi></td>
          <td title="its own">another</td>
        </tr>
      </tbody>
    </table>
  );
}

it("gives a text that is cut its whole text as the title, and leaves a title as it is", () => {
  show(<Names />);
  const cell = screen.getByText("a long name").closest("td");
  fireEvent.pointerOver(screen.getByText("a long name"));
  expect(cell).not.toHaveAttribute("title");
  vi.spyOn(HTMLElement.prototype, "scrollWidth", "get").mockReturnValue(200);
  Object.defineProperty(HTMLElement.prototype, "innerText", { configurable: true, get(this: HTMLElement) { return this.textContent; } });
  fireEvent.pointerOver(screen.getByText("a long name"));
  expect(cell).toHaveAttribute("title", "a long name");
  fireEvent.pointerOver(screen.getByText("another"));
  expect(screen.getByText("another")).toHaveAttribute("title", "its own");
});
