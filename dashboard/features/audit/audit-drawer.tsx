"use client";

import Link from "next/link";

import { Drawer } from "@/components/ui/drawer";
import { actionName, actorName, detailOf } from "@/features/audit/audit-words";
import type { AuditLine } from "@/features/audit/use-audit";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** One change in full: who did what to what, from where, with which values. */
export function AuditDrawer({ line, onClose }: { line: AuditLine; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const values = detailOf(line, t, format);
  const { actor } = line;
  return (
    <Drawer title={actionName(line.action, t)} sub={<span className="num">{format.moment(line.at)}</span>} onClose={onClose}>
      <section aria-labelledby="audit-values">
        <h3 id="audit-values">{t.audit.values}</h3>
        {values.length === 0 && <p className="t2 md">{t.audit.noValues}</p>}
        <dl className="dl">
          {values.map(({ name, before, value }) => (
            <div key={name} className="contents">
              <dt>{name}</dt>
              <dd>
                {before !== undefined && <><bdi className="t3">{before}</bdi> <span aria-label={t.audit.becomes} role="img">→</span> </>}
                <bdi>{value}</bdi>
              </dd>
            </div>
          ))}
        </dl>
        <p className="hint">{t.audit.noSecrets}</p>
      </section>
      <section aria-labelledby="audit-actor">
        <h3 id="audit-actor">{t.audit.actor}</h3>
        <dl className="dl">
          <dt>{t.audit.who}</dt>
          <dd>{actor.user_id ? <Link className="link" href={`/dashboard/users?id=${actor.user_id}`}><bdi>{actorName(line, t)}</bdi></Link> : actorName(line, t)}</dd>
          {actor.user_id && <><dt /><dd><Link className="link" href={`/dashboard/audit?actor=${actor.user_id}`}>{t.audit.showByActor}</Link></dd></>}
          <dt>{t.audit.address}</dt>
          <dd className="num">{actor.address ?? NONE}</dd>
          {actor.session_id && <><dt>{t.audit.session}</dt><dd className="mono">{actor.session_id}</dd></>}
          {actor.key_id && <><dt>{t.audit.key}</dt><dd className="mono">{actor.key_id}</dd></>}
        </dl>
      </section>
      <section aria-labelledby="audit-target">
        <h3 id="audit-target">{t.audit.target}</h3>
        <dl className="dl">
          <dt>{t.audit.concerns}</dt>
          <dd>{line.user_id ? <Link className="link" href={`/dashboard/users?id=${line.user_id}`}><bdi>{line.user_name ?? line.user_id}</bdi></Link> : NONE}</dd>
          <dt>{t.audit.code}</dt>
          <dd className="mono">{line.action}</dd>
          <dt>{t.audit.targetId}</dt>
          <dd className="mono">{line.target_id}</dd>
          <dt>{t.audit.id}</dt>
          <dd className="mono">{line.id}</dd>
        </dl>
      </section>
    </Drawer>
  );
}
