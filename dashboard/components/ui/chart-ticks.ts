/** An axis has at least three steps, unless its values are whole and few. */
const STEPS_MIN = 3;
/** A step is one, two or five times a power of ten. */
const FACTORS = [5, 2, 1] as const;
/** Decimals of the smallest step: an amount of money is a number of billionths. */
const DECIMALS_MAX = 9;

export interface Ticks {
  values: number[];
  /** The distance of two ticks, which decides how many decimals a label needs. */
  step: number;
}

/** Equal, round steps from 0 to at least `most`: at most six, and at least three where values between exist. */
export function ticksOf(most: number, hasDecimals: boolean): Ticks {
  const step = stepOf(most, hasDecimals);
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  const values = Array.from({ length: count + 1 }, (_, nth) => Number((nth * step).toFixed(DECIMALS_MAX)));
  return { values, step };
}

function stepOf(most: number, hasDecimals: boolean): number {
  if (!(most > 0)) return 1;
  const smallest = hasDecimals ? 10 ** -DECIMALS_MAX : 1;
  let power = 10 ** Math.floor(Math.log10(most));
  for (;;) {
    for (const factor of FACTORS) {
      const step = Number((factor * power).toPrecision(1));
      if (step <= smallest) return smallest;
      if (most / step > STEPS_MIN - 1) return step;
    }
    power /= 10;
  }
}
