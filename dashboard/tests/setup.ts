import "@testing-library/jest-dom/vitest";

import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

import { useSession } from "@/features/session/session-state";
import { setSessionOver } from "@/lib/api";
import { usePreferences } from "@/lib/preferences";
import { visit } from "@/tests/navigation";

// A page takes seconds to appear on a busy machine.
configure({ asyncUtilTimeout: 5_000 });

// The files of a worker share a window and all modules. Mocks and stubs are reset by the options in `vitest.config.ts`.
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  usePreferences.setState(usePreferences.getInitialState());
  useSession.setState(useSession.getInitialState());
  setSessionOver(false);
  // Resetting the preferences stores them.
  localStorage.clear();
  sessionStorage.clear();
  document.title = "";
  window.history.replaceState(null, "", "/");
  visit("/");
});

// jsdom lays nothing out.
Element.prototype.scrollIntoView ??= () => undefined;
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};
