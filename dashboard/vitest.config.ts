import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": import.meta.dirname, "next/navigation": `${import.meta.dirname}/tests/navigation.ts` } },
  test: {
    environment: "jsdom",
    include: ["**/*.test.{ts,tsx}"],
    exclude: ["node_modules/**", "out/**", ".next/**", "e2e/**"],
    setupFiles: ["./tests/setup.ts"],
    env: { TZ: "Asia/Jakarta" },
    // Files share a window and modules, which `tests/setup.ts` resets. With their own, they need over three times the CPU time.
    isolate: false,
    mockReset: true,
    restoreMocks: true,
    unstubGlobals: true,
    // Typing into a form takes seconds on a busy machine.
    testTimeout: 20_000,
  },
});
