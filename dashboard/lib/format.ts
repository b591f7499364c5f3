/** Money, tokens, times and durations as people read them. No other module formats them. */
import { differenceInMinutes } from "date-fns/differenceInMinutes";
import { differenceInSeconds } from "date-fns/differenceInSeconds";

import type { Schemas } from "@/lib/api";

export type Locale = "en" | "id";

/** An amount of money in integers, as the API sends it. */
export type Money = Schemas["Cost"] | { amount: number; currency: string };

type BillingMoney = Schemas["BillingMoney"];

/** What does not apply. */
export const NONE = "–";

const TAGS: Record<Locale, string> = { en: "en-GB", id: "id-ID" };
const NANO = 1_000_000_000;
const PICO = 1_000_000_000_000;
/** The smallest amount that is written in full. */
const SMALLEST = 0.000001;
/** Prices such as $0.025 would be wrong with 2 decimals. */
const PRICE_DECIMALS = [2, 3, 4, 5] as const;
const TICK_DECIMALS = [2, 3, 4, 5, 6, 7, 8] as const;
const CENT_NANO = 10_000_000;
const DAY_S = 86_400;

export interface Format {
  /** 2 decimals: for sums. */
  total(money: Money): string;
  /** An amount of billing: whole rupiah, or billionths of a dollar with 2 decimals. */
  bill(money: BillingMoney): string;
  /** The price of a unit from a decimal number, with all of its decimals. */
  unitPrice(decimal: string, currency: string): string;
  /** The label of an axis whose ticks are `step` billionths apart: as many decimals as the step needs, but at least 2. */
  tick(money: Schemas["Cost"], stepNano: number): string;
  /** 6 decimals: for one request. */
  exact(money: Money): string;
  /** The price of 1,000,000 units, from the rate of one in trillionths: 2 decimals, or as many as it needs. */
  rate(ratePico: number, currency: string): string;
  /** A part of a price in trillionths, with 6 decimals. */
  pico(amountPico: number, currency: string): string;
  count(value: number): string;
  /** A number of credits, with up to 6 decimals. */
  credits(value: number): string;
  /** A count in full, also from a million: for prices and invoices. */
  whole(value: number): string;
  /** A rate per second: one decimal below 10. */
  perSecond(rate: number | undefined): string;
  percent(share: number, decimals?: number): string;
  duration(ms: number | null | undefined): string;
  bytes(count: number): string;
  time(at: string | Date): string;
  clock(at: string | Date): string;
  day(at: string | Date): string;
  dayMonth(at: string | Date): string;
  /** The day of a date without a time, such as `2026-11-21`, in UTC. */
  utcDay(date: string): string;
  utcDate(date: string): string;
  /** As `utcDate`, without the weekday. */
  utcFull(date: string): string;
  moment(at: string | Date): string;
  month(at: string | Date): string;
  ago(at: string | Date, now: Date): string;
  left(at: string | Date, now: Date): string;
  zone(): string;
}

/** A formatter of one language, in the reader's time zone. */
export function formatter(locale: Locale): Format {
  const tag = TAGS[locale];
  const number = new Intl.NumberFormat(tag);
  const exactNumber = new Intl.NumberFormat(tag, { maximumFractionDigits: 6 });
  const relative = new Intl.RelativeTimeFormat(tag, { numeric: "auto", style: "short" });
  const moneyOf = (value: number, currency: string, decimals: number): string => {
    const text = new Intl.NumberFormat(tag, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
    if (currency === "USD") return `$${text}`;
    if (currency === "IDR") return locale === "id" ? `Rp${text}` : `IDR ${text}`;
    return `${currency} ${text}`;
  };
  const amount = (money: Money, decimals: number): string => {
    if ("amount" in money) return moneyOf(money.amount, money.currency, 0);
    return moneyOf(money.amount_nano / NANO, money.currency, decimals);
  };
  const small = (value: number, currency: string): string => {
    return value > 0 && value < SMALLEST ? `< ${moneyOf(SMALLEST, currency, 6)}` : moneyOf(value, currency, 6);
  };
  const date = (options: Intl.DateTimeFormatOptions) => {
    const format = new Intl.DateTimeFormat(tag, options);
    return (at: string | Date): string => format.format(new Date(at));
  };
  const decimal = (value: number, digits: number): string => {
    return new Intl.NumberFormat(tag, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  };
  // The Indonesian M is a thousand millions (miliar).
  const large = locale === "id" ? { million: "jt", billion: "M" } : { million: "M", billion: "B" };
  const count = (value: number): string => {
    if (value < 1_000_000) return number.format(value);
    return value < 1_000_000_000 ? `${decimal(value / 1_000_000, 1)} ${large.million}` : `${decimal(value / 1_000_000_000, 1)} ${large.billion}`;
  };
  const units = locale === "id" ? { d: "hari", h: "jam", m: "mnt", s: "dtk" } : { d: "d", h: "h", m: "min", s: "s" };
  return {
    total: (money) => {
      // A cost below one cent is shown as "< $0.01", because "$0.00" means no cost.
      const isTiny = "amount_nano" in money && money.amount_nano > 0 && money.amount_nano < CENT_NANO;
      return isTiny ? `< ${moneyOf(0.01, money.currency, 2)}` : amount(money, 2);
    },
    bill: ({ amount: units, currency }) => {
      const sign = units < 0 ? "-" : "";
      const value = Math.abs(units);
      return sign + (currency === "IDR" ? moneyOf(value, currency, 0) : moneyOf(value / NANO, currency, 2));
    },
    unitPrice: (text, currency) => {
      const places = text.split(".")[1]?.length ?? 0;
      return moneyOf(Number(text), currency, currency === "IDR" ? places : Math.max(2, places));
    },
    tick: (money, stepNano) => {
      const decimals = TICK_DECIMALS.find((digits) => isWhole((stepNano / NANO) * 10 ** digits)) ?? 9;
      return moneyOf(money.amount_nano / NANO, money.currency, decimals);
    },
    exact: (money) => ("amount_nano" in money ? small(money.amount_nano / NANO, money.currency) : amount(money, 6)),
    rate: (ratePico, currency) => {
      const price = ratePico / 1_000_000;
      return moneyOf(price, currency, PRICE_DECIMALS.find((decimals) => isWhole(price * 10 ** decimals)) ?? 6);
    },
    pico: (amountPico, currency) => small(amountPico / PICO, currency),
    count,
    credits: (value) => (value < 1_000_000 ? exactNumber.format(value) : count(value)),
    whole: (value) => number.format(value),
    perSecond: (rate) => {
      if (rate === undefined) return NONE;
      if (rate >= 10 || rate === 0) return number.format(Math.round(rate));
      return rate < 0.1 ? `< ${decimal(0.1, 1)}` : decimal(rate, 1);
    },
    percent: (share, decimals = 1) => `${decimal(share * 100, decimals)} %`,
    duration: (ms) => {
      if (ms === null || ms === undefined) return NONE;
      // The unit is that of the rounded value: 59.996 s are 1 min 00 s.
      if (ms < 9.95) return `${decimal(ms, 1)} ms`;
      if (ms < 999.5) return `${number.format(Math.round(ms))} ms`;
      if (ms < 59_995) return `${decimal(ms / 1000, 2)} s`;
      const seconds = Math.round(ms / 1000);
      return `${Math.floor(seconds / 60)} ${units.m} ${String(seconds % 60).padStart(2, "0")} ${units.s}`;
    },
    bytes: (count) => (count < 1000 ? `${count} B` : `${decimal(count / 1000, 1)} KB`),
    time: date({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    clock: date({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    day: date({ day: "numeric", month: "short", year: "numeric" }),
    dayMonth: date({ day: "numeric", month: "short" }),
    utcDay: date({ day: "numeric", month: "short", timeZone: "UTC" }),
    utcDate: date({ weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }),
    utcFull: date({ day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }),
    moment: date({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    month: date({ month: "long", timeZone: "UTC" }),
    ago: (at, now) => {
      const seconds = differenceInSeconds(now, new Date(at));
      if (Math.abs(seconds) < 60) return relative.format(0, "second");
      if (Math.abs(seconds) < 3600) return relative.format(-Math.round(seconds / 60), "minute");
      if (Math.abs(seconds) < DAY_S) return relative.format(-Math.round(seconds / 3600), "hour");
      return date({ day: "numeric", month: "short", year: "numeric" })(at);
    },
    left: (at, now) => {
      // Rounded down: what ends is never shown as lasting longer.
      const minutes = Math.max(0, differenceInMinutes(new Date(at), now));
      if (minutes >= 2 * 24 * 60) return `${Math.floor(minutes / 1440)} ${units.d}`;
      return minutes >= 60 ? `${Math.floor(minutes / 60)} ${units.h} ${minutes % 60} ${units.m}` : `${minutes} ${units.m}`;
    },
    zone: () => {
      const parts = new Intl.DateTimeFormat(tag, { timeZoneName: "short" }).formatToParts(new Date());
      return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
    },
  };
}

/** Whether a number is whole, apart from the error of its binary fraction. */
function isWhole(value: number): boolean {
  return Math.abs(value - Math.round(value)) < 1e-6;
}

/** Minutes and seconds of a countdown: `11:42`. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
