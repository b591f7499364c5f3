export const copy = { copy: "Copy", copied: "Copied", failed: "Not copied", what: (what: string) => `Copy ${what}` };
