"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { roleName } from "@/features/frame/role-name";
import { Shell } from "@/features/frame/shell";
import { OpenDays } from "@/features/review/open-days";
import { type Reader, hasDecided, openRoles } from "@/features/review/review-words";
import { ReviewedFigures } from "@/features/review/reviewed-figures";
import { type ReviewStatus, useReview, useSignoff } from "@/features/review/use-review";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

/** The approval of a day by the configured roles. */
export function ReviewPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const day = get("day");
  const review = useReview(day);
  const me = useMe().data;
  const reader = me && { id: me.user.id, roles: me.roles };
  return (
    <Shell page="review">
      <section className="panel" aria-labelledby="review">
        <div className="ph flex-wrap">
          <h2 id="review">{t.review.title(review.data?.date ?? day)}</h2>
          <label className="row push">
            <span className="t2 sm">{t.review.day}</span>
            <input className="in h-8" type="date" value={day === "" ? (review.data?.date ?? "") : day} max={new Date().toISOString().slice(0, "2026-01-01".length)} onChange={(event) => set({ day: event.target.value })} />
          </label>
        </div>
        {review.isPending && <SkeletonRows rows={4} />}
        {review.isError && !review.data && <Failure error={review.error} onRetry={() => void review.refetch()} />}
        {review.data && <Decisions review={review.data} />}
      </section>
      {review.data && reader && <SignoffForm key={review.data.id} review={review.data} reader={reader} />}
      {review.data && reader && reader.roles.length > 0 && <OpenDays reader={reader} onOpen={(open) => set({ day: open })} />}
    </Shell>
  );
}

function Decisions({ review }: { review: ReviewStatus }) {
  const t = useMessages();
  const format = useFormat();
  const { difference } = review;
  return (
    <>
      <p className="pad"><strong>{t.review.states[review.state]}</strong></p>
      {difference && <p className="pad">{t.review.changed(format.count(difference.requests), format.exact(difference.cost))}</p>}
      {difference && (difference.refused !== 0 || difference.own_cost.amount_nano !== 0) && <p className="pad">{t.review.changedApart(format.count(difference.refused), format.exact(difference.own_cost))}</p>}
      <ReviewedFigures key={review.figures_version} id={review.id} />
      <dl className="dl pad">
        {review.required.map((role) => (
          <div key={role.role} className="contents">
            <dt><bdi>{roleName(role.role, t)}</bdi></dt>
            <dd>{t.review.roleStates[role.state]} <span className="t3 num">{[personOf(review, role), role.at ? format.moment(role.at) : ""].filter(Boolean).join(", ")}</span></dd>
          </div>
        ))}
      </dl>
      {review.history.length > 0 && (
        <div className="tw">
          <table className="tbl" aria-label={t.review.history}>
            <thead>
              <tr>
                <th>{t.review.at}</th>
                <th>{t.review.role}</th>
                <th className="x3">{t.review.person}</th>
                <th>{t.review.decision}</th>
                <th className="grow">{t.review.comment}</th>
              </tr>
            </thead>
            <tbody>
              {review.history.map((entry) => (
                <tr key={`${entry.at} ${entry.role}`}>
                  <td className="num">{format.moment(entry.at)}</td>
                  <td><bdi>{roleName(entry.role, t)}</bdi></td>
                  <td className="x3 cut" title={entry.user?.name}><bdi>{entry.user?.name ?? NONE}</bdi></td>
                  <td>{entry.approve ? t.review.roleStates.approved : t.review.roleStates.rejected}</td>
                  <td className="grow"><bdi>{entry.comment ?? NONE}</bdi></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

/** The name of the user who has decided for a role; absent if nobody has, or the user no longer exists. */
function personOf({ history }: ReviewStatus, { role, at }: ReviewStatus["required"][number]): string | undefined {
  return history.find((entry) => entry.role === role && entry.at === at)?.user?.name;
}

function SignoffForm({ review, reader }: { review: ReviewStatus; reader: Reader }) {
  const t = useMessages();
  const signoff = useSignoff();
  const roles = openRoles(review, reader);
  const [wanted, setRole] = useState("");
  const role = roles.includes(wanted) ? wanted : (roles[0] ?? "");
  const [comment, setComment] = useState("");
  const { id, figures_version } = review;
  const decide = (approve: boolean) => signoff.mutate({ role, approve, id, figures_version, ...(comment && { comment }) });
  if (roles.length === 0) {
    const isRequired = review.required.some((required) => reader.roles.includes(required.role));
    const isOver = review.state !== "collecting" && review.complete;
    const decided = hasDecided(review, reader.id) ? t.review.decidedOnce : t.review.decidedAll;
    return isRequired ? <Note title={isOver ? decided : t.review.notOver} /> : null;
  }
  return (
    <section className="panel" aria-labelledby="signoff">
      <div className="ph"><h2 id="signoff">{t.review.signoff}</h2></div>
      <form className="pad stack" onSubmit={(event) => event.preventDefault()}>
        <SelectField label={t.review.role} value={role} onChange={(event) => setRole(event.target.value)} options={roles.map((name) => [name, roleName(name, t)] as const)} />
        <Field label={t.review.comment} hint={t.review.commentHint} value={comment} maxLength={1_000} onChange={(event) => setComment(event.target.value)} />
        <FailedNote title={t.review.failed} error={signoff.error} />
        <div className="row">
          <Button look="primary" type="button" disabled={signoff.isPending} onClick={() => decide(true)}>{t.review.approve}</Button>
          <Button type="button" disabled={signoff.isPending || comment === ""} onClick={() => decide(false)}>{t.review.reject}</Button>
        </div>
      </form>
    </section>
  );
}
