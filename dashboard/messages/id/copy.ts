import type { Messages } from "@/messages/en";

export const copy: Messages["copy"] = { copy: "Salin", copied: "Tersalin", what: (what) => `Salin ${what}` };
