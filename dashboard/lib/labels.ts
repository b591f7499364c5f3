/** At most this many labels belong to a user or a key. */
const LABELS_MAX = 8;
const LABEL_NAME = /^[a-z][a-z0-9_]{0,31}$/;
const LABEL_VALUE = /^[A-Za-z0-9._-]{1,64}$/;

export type Labels = Record<string, string>;

/** Labels as one text: `team=payments, tier=gold`. */
export function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  return pairs.map(([name, value]) => `${name}=${value}`).join(", ");
}

/** The labels of a text; `undefined` if the server would refuse them. */
export function labelsOf(text: string): Labels | undefined {
  const pairs = text.split(",").map((pair) => pair.trim()).filter((pair) => pair !== "");
  const labels: Labels = {};
  for (const pair of pairs) {
    if (!isLabel(pair)) return undefined;
    const [name = "", value = ""] = pair.split("=");
    if (name in labels) return undefined;
    labels[name] = value;
  }
  return pairs.length <= LABELS_MAX ? labels : undefined;
}

/** Whether a text is one label, such as `team=payments`. */
export function isLabel(text: string): boolean {
  const [name = "", value = "", ...rest] = text.split("=");
  return rest.length === 0 && isLabelName(name) && LABEL_VALUE.test(value);
}

/** Whether a text can be the name of a label, such as `team`. */
export function isLabelName(text: string): boolean {
  return LABEL_NAME.test(text);
}
