"use client";

import { Button } from "@/components/ui/button";
import { useLocale, useMessages } from "@/lib/language";
import { usePreferences } from "@/lib/preferences";

/** Changes between English and Indonesian; the button shows the current language. */
export function LanguageSelect() {
  const t = useMessages();
  const locale = useLocale();
  const setLocale = usePreferences((state) => state.setLocale);
  return (
    <Button look="ghost" icon aria-label={`${t.frame.language}: ${locale === "en" ? "English" : "Indonesia, ID"}`} onClick={() => setLocale(locale === "en" ? "id" : "en")}>
      <span className="text-xs uppercase">{locale}</span>
    </Button>
  );
}
