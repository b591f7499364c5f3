"use client";

import { X } from "lucide-react";
import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { CsvButton } from "@/components/ui/csv-button";
import { MoreButton } from "@/components/ui/more-button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { AuditDrawer } from "@/features/audit/audit-drawer";
import { AuditTable } from "@/features/audit/audit-table";
import { type AuditFilters, auditAsCsv, useAudit } from "@/features/audit/use-audit";
import { AdminShell } from "@/features/frame/admin-shell";
import { useUser } from "@/features/users/use-users";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

const RANGES = ["1", "7", "30", ""] as const;

/** Who changed what, and when. */
export function AuditPage() {
  return (
    <AdminShell page="audit">
      <AuditLog />
    </AdminShell>
  );
}

function AuditLog() {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const filters: AuditFilters = { action: get("action"), user: get("user"), actor: get("actor"), days: RANGES.find((days) => days === get("days")) ?? "" };
  const log = useAudit(filters);
  const lines = useMemo(() => (log.data?.pages ?? []).flatMap((page) => page.items), [log.data]);
  const open = lines.find(({ id }) => id === get("id"));
  const isFiltered = Object.values(filters).some((filter) => filter !== "");
  const clear = () => set({ action: "", user: "", actor: "", days: "" });
  return (
    <>
      <section className="panel" aria-label={t.frame.audit}>
        <div className="ph flex-wrap">
          <Segments label={t.audit.range} value={filters.days as (typeof RANGES)[number]} onChange={(days) => set({ days })} options={RANGES.map((name) => ({ name, label: t.audit.ranges[name] }))} />
          <select className="in h-8 w-60 max-w-full" aria-label={t.audit.action} value={filters.action} onChange={(event) => set({ action: event.target.value })}>
            <option value="">{t.audit.allActions}</option>
            {Object.entries(t.audit.actions).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
          </select>
          <div className="push">
            <CsvButton name="audit.csv" read={() => auditAsCsv(filters)} size="small" />
          </div>
          {filters.user && <UserChip id={filters.user} text={t.audit.of} onClear={() => set({ user: "" })} />}
          {filters.actor && <UserChip id={filters.actor} text={t.audit.byActor} onClear={() => set({ actor: "" })} />}
        </div>
        {log.isError && !log.data && <Failure error={log.error} onRetry={() => void log.refetch()} />}
        {log.isPending && <SkeletonRows rows={12} height={34} />}
        {log.isPending && log.emptyPages > 0 && <p className="pf" role="status">{t.frame.searching(format.count(log.emptyPages))}</p>}
        {log.data && lines.length === 0 && log.hasNextPage && <Empty title={t.frame.noneSoFar} action={<MoreButton list={log}>{t.frame.searchOn}</MoreButton>} />}
        {log.data && lines.length === 0 && !log.hasNextPage && (
          <Empty title={isFiltered ? t.audit.noneFiltered : t.audit.none} action={isFiltered && <Button onClick={clear}>{t.keys.clear}</Button>} />
        )}
        {lines.length > 0 && <AuditTable lines={lines} openId={open?.id ?? ""} onOpen={(id) => set({ id })} />}
        {lines.length > 0 && (
          <div className="pf">
            <span className="num nowrap">{t.users.count(format.count(lines.length))}</span>
            {log.hasNextPage ? (
              <MoreButton list={log} className="push">{t.audit.more}</MoreButton>
            ) : (
              <span className="push">{t.audit.end}</span>
            )}
          </div>
        )}
      </section>
      {open && <AuditDrawer key={open.id} line={open} onClose={() => set({ id: "" })} />}
    </>
  );
}

/** The user or the actor whose changes are shown; a click shows those of all. */
function UserChip({ id, text, onClear }: { id: string; text(name: string): string; onClear(): void }) {
  const t = useMessages();
  const name = useUser(id).data?.name ?? id.slice(0, 8);
  return (
    <button type="button" className="chip on" onClick={onClear} aria-label={t.audit.clearUser(name)}>
      <bdi>{text(name)}</bdi>
      <X className="i s" aria-hidden />
    </button>
  );
}
