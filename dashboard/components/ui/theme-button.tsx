"use client";

import { Moon, Sun } from "lucide-react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";
import { toggleTheme, usePreferences } from "@/lib/preferences";

/** Changes between light and dark; until then the page follows the system. */
export function ThemeButton() {
  const t = useMessages();
  const theme = usePreferences((state) => state.theme);
  const Icon = theme === "dark" ? Sun : Moon;
  return (
    <Button look="ghost" icon aria-label={t.frame.changeTheme} onClick={toggleTheme}>
      <Icon className="i" aria-hidden />
    </Button>
  );
}
