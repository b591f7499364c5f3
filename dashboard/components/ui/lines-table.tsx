import type { ReactNode } from "react";

interface LinesTableProps {
  heads?: readonly string[];
  rows: readonly { name: string; cells: readonly ReactNode[] }[];
  /** The cells of the last line. */
  total?: readonly ReactNode[];
}

/** The lines of a bill or a price list: the first cell is the name, the others are amounts. */
export function LinesTable({ heads, rows, total }: LinesTableProps) {
  return (
    <table className="lines">
      {heads && (
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head}>{head}</th>
            ))}
          </tr>
        </thead>
      )}
      <tbody>
        {rows.map(({ name, cells }) => (
          <tr key={name}>
            {cells.map((cell, at) => (
              <td key={at}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
      {total && (
        <tfoot>
          <tr>
            {total.map((cell, at) => (
              <td key={at}>{cell}</td>
            ))}
          </tr>
        </tfoot>
      )}
    </table>
  );
}
