"use client";

import { Button } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import { useMessages } from "@/lib/language";

/** The settings to which other pages lead, with the value that they want. */
const WANTED: Record<string, string> = { signup: "invite" };

/** The text with a setting of its first level: its line is replaced, or added. */
export function withSetting(text: string, key: string, value: string): string {
  const line = new RegExp(`^${key}:[^\\n]*$`, "m");
  const set = `${key}: ${value}`;
  if (line.test(text)) return text.replace(line, set);
  return text === "" || text.endsWith("\n") ? `${text}${set}\n` : `${text}\n${set}\n`;
}

interface WantedSettingProps {
  /** The name of the setting in the address; others are ignored. */
  name: string;
  text: string;
  onText(text: string): void;
}

/** Offers to write the setting for which the reader came here. */
export function WantedSetting({ name, text, onText }: WantedSettingProps) {
  const t = useMessages();
  const value = WANTED[name];
  if (value === undefined) return null;
  const next = withSetting(text, name, value);
  return (
    <Note title={t.configuration.wanted(`${name}: ${value}`)}>
      <p>{next === text ? t.configuration.wantedDone : t.configuration.wantedText}</p>
      {next !== text && <Button size="small" className="mt-2" onClick={() => onText(next)}>{t.configuration.wantedWrite(`${name}: ${value}`)}</Button>}
    </Note>
  );
}
