"use client";

import { Moon, Sun } from "lucide-react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";
import { usePreferences } from "@/lib/preferences";

/** Changes between light and dark; until then the page follows the system. */
export function ThemeButton() {
  const t = useMessages();
  const theme = usePreferences((state) => state.theme);
  const setTheme = usePreferences((state) => state.setTheme);
  const change = () => {
    const isDark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
    setTheme(isDark ? "light" : "dark");
  };
  const Icon = theme === "dark" ? Sun : Moon;
  return (
    <Button look="ghost" icon aria-label={t.frame.changeTheme} onClick={change}>
      <Icon className="i" aria-hidden />
    </Button>
  );
}
