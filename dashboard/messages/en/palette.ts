export const palette = {
  title: "Search or jump to",
  placeholder: "Page, action, key or model",
  results: "Results",
  nothing: (text: string) => `Nothing is named “${text}”`,
  groups: { pages: "Pages", actions: "Actions", keys: "Keys", models: "Models", users: "Users", plans: "Plans" },
  language: "Bahasa Indonesia",
  shortcuts: "Keyboard shortcuts",
  single: "Single keys are shortcuts outside of text fields",
};
