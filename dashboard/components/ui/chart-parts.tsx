export interface ChartColumn {
  name: string;
  /** A token of the theme. */
  colour: string;
  isHollow?: boolean;
}

export interface ChartRow {
  /** The label on the axis; it may be empty. */
  label: string;
  /** The step in full, for the tooltip. */
  title: string;
  values: (number | null)[];
}

/** The mark of a series in legends, tables and tooltips. */
export function Swatch({ column: { colour, isHollow = false } }: { column: ChartColumn }) {
  return <i className="sw" style={isHollow ? { boxShadow: `inset 0 0 0 1.5px ${colour}` } : { background: colour }} />;
}
