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

/** Sets the chosen theme and the brand's colour before the first paint. */
const FIRST_PAINT = `try{const s=JSON.parse(localStorage.getItem("${STORED_AS}")).state,r=document.documentElement;if(s.theme!=="system")r.dataset.theme=s.theme;if(s.color){r.style.setProperty("--brand",s.color);r.dataset.brand=""}}catch{}`;

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" suppressHydrationWarning>
      <head>
        <script dangerouslySetInnerHTML={{ __html: FIRST_PAINT }} />
      </head>
      <body>
        <Providers>{children}</Providers>
      </body>
    </html>
  );
}
