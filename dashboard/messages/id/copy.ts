import type { Messages } from "@/messages/en";

export const copy: Messages["copy"] = { copy: "Salin", copied: "Tersalin", failed: "Tidak tersalin", what: (what) => `Salin ${what}` };
