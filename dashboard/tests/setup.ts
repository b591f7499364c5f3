import "@testing-library/jest-dom/vitest";

import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// A page takes seconds to appear on a busy machine.
configure({ asyncUtilTimeout: 5_000 });

afterEach(() => cleanup());

// jsdom lays nothing out.
Element.prototype.scrollIntoView ??= () => undefined;
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};
