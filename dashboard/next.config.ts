import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  // All files but the two public pages are served below /dashboard.
  assetPrefix: "/dashboard",
  reactStrictMode: true,
  poweredByHeader: false,
  devIndicators: false,
  turbopack: { root: import.meta.dirname },
};

export default config;
