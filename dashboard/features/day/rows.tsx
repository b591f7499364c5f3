/** A table of names and their figures; nothing without rows. */
export function Rows({ label, head, rows }: { label: string; head: string[]; rows: string[][] }) {
  if (rows.length === 0) return null;
  const [first, ...figures] = head;
  return (
    <div className="tw">
      <table className="tbl" aria-label={label}>
        <thead>
          <tr>
            <th className="grow">{first}</th>
            {figures.map((name) => <th key={name} className="r">{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, ...values]) => (
            <tr key={name}>
              <td className="grow pad"><bdi>{name}</bdi></td>
              {values.map((value, at) => <td key={figures[at]} className="r num">{value}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
