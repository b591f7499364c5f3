import next from "eslint-config-next/core-web-vitals";
import typescript from "eslint-config-next/typescript";

const config = [
  ...next,
  ...typescript,
  { ignores: [".next/", "out/", "generated/", "test-results/"] },
  {
    rules: {
      // The public pages are outside of /dashboard, where a client-side navigation would find no data.
      "@next/next/no-html-link-for-pages": "off",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "no-console": "error",
    },
  },
  {
    // Named exports, except where Next or a tool reads the default.
    files: ["**/*.ts", "**/*.tsx"],
    ignores: ["app/**", "*.config.ts", "e2e/server.ts"],
    rules: {
      "no-restricted-syntax": ["error", { selector: "ExportDefaultDeclaration", message: "Export by name." }],
    },
  },
  // Playwright's fixtures call a function with the name of a hook.
  { files: ["e2e/**"], rules: { "react-hooks/rules-of-hooks": "off" } },
];

export default config;
