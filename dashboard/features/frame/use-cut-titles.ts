"use client";

import { useEffect } from "react";

/** The elements whose text is cut if it is too long, and a table's cells, which cut that of their content. */
const CUT = ".trunc, .cut, .fill, .grow, .sub, td, th, dd, .d, h1, h2";

/** Gives a text that is cut its whole text as the title, when the pointer or the focus comes to it. A title of its own stays. */
export function useCutTitles(): void {
  useEffect(() => {
    const show = ({ target }: Event) => {
      const element = target instanceof Element ? target.closest<HTMLElement>(CUT) : null;
      if (!element || element.closest("[title]") || element.querySelector("[title]")) return;
      if (element.scrollWidth > element.clientWidth) element.title = element.innerText.replaceAll("\n", " · ");
    };
    document.addEventListener("pointerover", show);
    document.addEventListener("focusin", show);
    return () => {
      document.removeEventListener("pointerover", show);
      document.removeEventListener("focusin", show);
    };
  }, []);
}
