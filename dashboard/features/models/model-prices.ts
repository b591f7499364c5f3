import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

export type Model = Schemas["Model"];
type Price = Schemas["ModelPrice"];
type TokenClass = keyof Messages["models"]["classes"];
type Unit = keyof Messages["models"]["units"];

/** The classes in the order of a bill. */
const CLASSES: readonly TokenClass[] = [
  "input", "cached_input", "cache_write_short", "cache_write_long", "output", "audio_input", "image_input", "audio_output", "image_output",
];

/** How many units a line of a price shows, so that the amounts are readable. */
const UNITS: Record<Unit, number> = {
  image: 1, millisecond: 60_000, character: 1_000_000, search: 1000, search_prompt: 1000, maps_query: 1000, maps_prompt: 1000, container: 1, file_search: 1000, request: 1000,
};
const PICO = 1_000_000_000_000;
const MILLION = 1_000_000;

export interface ClassPrice {
  name: TokenClass;
  standard: number;
  /** The rate of long requests, if the model has one. */
  long: number | undefined;
}

/** The rates of the classes that the model has. */
export function classPrices({ rates_pico: rates, long }: Price): ClassPrice[] {
  return CLASSES.flatMap((name) => {
    const standard = rates[name];
    return standard === null || standard === undefined ? [] : [{ name, standard, long: long?.rates_pico[name] ?? undefined }];
  });
}

/** The rates of units other than tokens, as whole amounts of the currency for a readable number of units. */
export function unitPrices({ units_pico: rates }: Price): { name: Unit; amount: number }[] {
  return (Object.keys(UNITS) as Unit[]).flatMap((name) => {
    const rate = rates[name];
    return rate === null || rate === undefined ? [] : [{ name, amount: (rate * UNITS[name]) / PICO }];
  });
}

/** The rate of a class, or `undefined` if the model or the class has none. */
export function rateOf(model: Model, name: TokenClass, format: Format): string | undefined {
  const rate = model.price?.rates_pico[name];
  return rate === null || rate === undefined || !model.price ? undefined : format.rate(rate, model.price.currency);
}

/** An amount of a unit, as `format.rate` writes it. */
export function amountOf(amount: number, currency: string, format: Format): string {
  return format.rate(amount * MILLION, currency);
}

/** Models whose name, other names or provider contain all words. */
export function matching(models: readonly Model[], text: string, provider: string): Model[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter((word) => word !== "");
  return models.filter((model) => {
    const names = [model.name, model.provider, model.provider_model, ...model.aliases].join(" ").toLowerCase();
    return (provider === "" || model.provider === provider) && words.every((word) => names.includes(word));
  });
}
