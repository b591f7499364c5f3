"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { SelectField } from "@/components/ui/select-field";
import { Empty } from "@/components/ui/states";
import { roleName } from "@/features/frame/role-name";
import { usualOf } from "@/features/review/reviewed-figures";
import { type Reader, openRoles } from "@/features/review/review-words";
import { type OpenDay, useApprovals, useOpenDays } from "@/features/review/use-review";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** The days that are not approved, which the reader may approve together. They are read when the reader asks for them. */
export function OpenDays({ reader, onOpen }: { reader: Reader; onOpen(day: string): void }) {
  const t = useMessages();
  const [isShown, setIsShown] = useState(false);
  return (
    <section className="panel" aria-labelledby="open-days">
      <div className="ph">
        <h2 id="open-days">{t.review.openDays}</h2>
        {!isShown && <Button size="small" className="push" onClick={() => setIsShown(true)}>{t.review.showOpenDays}</Button>}
      </div>
      {isShown && <DayList reader={reader} onOpen={onOpen} />}
    </section>
  );
}

function DayList({ reader, onOpen }: { reader: Reader; onOpen(day: string): void }) {
  const t = useMessages();
  const format = useFormat();
  const { days, isPending, error } = useOpenDays();
  const approvals = useApprovals();
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const roles = reader.roles.filter((role) => days.some(({ review }) => openRoles(review, { ...reader, roles: [role] }).length > 0));
  const [wanted, setRole] = useState("");
  const role = roles.includes(wanted) ? wanted : (roles[0] ?? "");
  const [comment, setComment] = useState("");
  const mayApprove = ({ review, brief }: OpenDay) => brief !== undefined && openRoles(review, { ...reader, roles: [role] }).length > 0;
  const approved = days.filter((day) => chosen.includes(day.review.id) && mayApprove(day));
  const approve = () => approvals.mutate(approved.map(({ review: { id }, brief }) => ({ role, approve: true, id, figures_version: brief?.figures_version ?? null, ...(comment && { comment }) })));
  if (!isPending && days.length === 0) return error ? <FailedNote title={t.review.openDays} error={error} /> : <Empty title={t.review.noOpenDays} />;
  return (
    <>
      {isPending && <p className="pf" role="status">{t.frame.loading}</p>}
      <div className="tw">
        <table className="tbl" aria-labelledby="open-days">
          <thead>
            <tr>
              <th>{t.review.day}</th>
              <th className="grow">{t.review.state}</th>
              <th className="r x4">{t.day.requests}</th>
              <th className="r x3">{t.day.unpriced}</th>
              <th className="r x2">{t.review.usual}</th>
              <th className="r">{t.day.cost}</th>
            </tr>
          </thead>
          <tbody>
            {days.map((day) => (
              <tr key={day.review.id}>
                <td className="nowrap">
                  {mayApprove(day) && <input type="checkbox" className="mr-2" aria-label={t.review.choose(day.review.date)} checked={chosen.includes(day.review.id)} onChange={(event) => setChosen(event.target.checked ? [...chosen, day.review.id] : chosen.filter((id) => id !== day.review.id))} />}
                  <button type="button" className="link num" onClick={() => onOpen(day.review.date)}>{day.review.date}</button>
                </td>
                <td className="grow">{t.review.states[day.review.state]}</td>
                <td className="r num x4">{day.brief ? format.count(day.brief.spend.requests) : NONE}</td>
                <td className="r num x3">{day.brief ? format.count(day.brief.spend.unpriced_requests) : NONE}</td>
                <td className="r num x2">{day.brief ? usualOf(day.brief, t, format) : NONE}</td>
                <td className="r num">{day.brief ? format.exact(day.brief.spend.cost) : NONE}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {roles.length > 0 && (
        <form className="pad stack" onSubmit={(event) => event.preventDefault()}>
          <SelectField label={t.review.role} value={role} onChange={(event) => setRole(event.target.value)} options={roles.map((name) => [name, roleName(name, t)] as const)} />
          <Field label={t.review.comment} hint={t.review.commentOfAll} value={comment} maxLength={1_000} onChange={(event) => setComment(event.target.value)} />
          <FailedNote title={t.review.failedSome} error={approvals.error} />
          <div className="row">
            <Button look="primary" type="button" disabled={approved.length === 0 || approvals.isPending} onClick={approve}>{t.review.approveDays(format.count(approved.length))}</Button>
          </div>
        </form>
      )}
    </>
  );
}
