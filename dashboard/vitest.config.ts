import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": import.meta.dirname } },
  test: {
    environment: "jsdom",
    include: ["**/*.test.{ts,tsx}"],
    exclude: ["node_modules/**", "out/**", ".next/**", "e2e/**"],
    setupFiles: ["./tests/setup.ts"],
    env: { TZ: "Asia/Jakarta" },
    restoreMocks: true,
    // Typing into a form takes seconds on a busy machine.
    testTimeout: 20_000,
  },
});
