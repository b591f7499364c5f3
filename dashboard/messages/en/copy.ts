export const copy = { copy: "Copy", copied: "Copied", what: (what: string) => `Copy ${what}` };
