import { fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";

import { CopyButton } from "@/components/ui/copy-button";
import { Dialog } from "@/components/ui/dialog";

const before = Object.getOwnPropertyDescriptor(navigator, "clipboard");

function withClipboard(value: Pick<Clipboard, "writeText"> | undefined): void {
  Object.defineProperty(navigator, "clipboard", { configurable: true, value });
}

/** A page over plain HTTP has no clipboard, and jsdom has no commands. */
function withoutClipboard(copy: () => boolean): void {
  withClipboard(undefined);
  Object.defineProperty(document, "execCommand", { configurable: true, value: copy });
}

afterEach(() => {
  Reflect.deleteProperty(document, "execCommand");
  Reflect.deleteProperty(navigator, "clipboard");
  if (before) Object.defineProperty(navigator, "clipboard", before);
});

describe("CopyButton", () => {
  it("copies a selection inside of its dialog where the browser has no clipboard", async () => {
    let copied: string | undefined;
    withoutClipboard(() => {
      const area = document.activeElement;
      const isInside = area instanceof HTMLTextAreaElement && screen.getByRole("dialog").contains(area);
      copied = isInside ? area.value.slice(area.selectionStart, area.selectionEnd) : undefined;
      return isInside;
    });
    render(<Dialog title="Secret"><CopyButton text="acme_secret" what="secret" withWord /></Dialog>);
    const button = within(screen.getByRole("dialog")).getByRole("button", { name: "Copy" });
    fireEvent.click(button);
    expect(await screen.findByText("Copied")).toBeVisible();
    expect(copied).toBe("acme_secret");
    expect(document.querySelector("textarea")).toBeNull();
    expect(button).toHaveFocus();
  });

  it("says that nothing was copied if the browser refuses the selection", async () => {
    withoutClipboard(() => false);
    render(<CopyButton text="acme_secret" what="secret" withWord />);
    fireEvent.click(screen.getByRole("button", { name: "Copy" }));
    expect(await screen.findByText("Not copied")).toBeVisible();
    expect(screen.queryByText("Copied")).toBeNull();
  });

  it("says that nothing was copied if the clipboard refuses it", async () => {
    withClipboard({ writeText: () => Promise.reject(new DOMException("denied", "NotAllowedError")) });
    render(<CopyButton text="acme_secret" what="secret" />);
    fireEvent.click(screen.getByRole("button", { name: "Copy secret" }));
    expect(await screen.findByText("Not copied")).toBeInTheDocument();
  });
});
