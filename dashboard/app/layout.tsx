import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";

import "@/styles/app.css";
import { Providers } from "@/features/frame/providers";
import { STORED_AS } from "@/lib/stored-as";

export const metadata: Metadata = {
  title: "Gateway",
  robots: { index: false },
  icons: { icon: { url: "/dashboard/icon.svg", type: "image/svg+xml" } },
};

export const viewport: Viewport = { colorScheme: "light dark" };

/** Sets the chosen theme before the first paint. */
const THEME = `try{const t=JSON.parse(localStorage.getItem("${STORED_AS}")).state.theme;if(t!=="system")document.documentElement.dataset.theme=t}catch{}`;

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" suppressHydrationWarning>
      <head>
        <script dangerouslySetInnerHTML={{ __html: THEME }} />
      </head>
      <body>
        <Providers>{children}</Providers>
      </body>
    </html>
  );
}
