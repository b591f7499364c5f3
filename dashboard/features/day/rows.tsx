interface RowsProps {
  label: string;
  head: string[];
  rows: string[][];
  /** The classes of the columns after the first one, such as `x3` for those that narrow screens leave out. */
  narrow?: string[];
}

/** A table of names and their figures, with its heading; nothing without rows. */
export function Rows({ label, head, rows, narrow = [] }: RowsProps) {
  if (rows.length === 0) return null;
  const [first, ...figures] = head;
  return (
    <>
      <h3 className="px-4 pt-5 pb-2">{label}</h3>
      <div className="tw">
        <table className="tbl" aria-label={label}>
          <thead>
            <tr>
              <th className="grow">{first}</th>
              {figures.map((name, at) => <th key={name} className={`r ${narrow[at] ?? ""}`}>{name}</th>)}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, ...values]) => (
              <tr key={name}>
                <td className="grow pad"><bdi>{name}</bdi></td>
                {values.map((value, at) => <td key={figures[at]} className={`r num ${narrow[at] ?? ""}`}>{value}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
