"use client";

import { useScope } from "@/features/scope/use-scope";
import { usePlans } from "@/features/plans/use-plans";
import { useUsers } from "@/features/users/use-users";
import { useMessages } from "@/lib/language";
import { useOverview } from "@/lib/queries";

/** The choice of whose usage a page shows: all users, the reader, or one user, plan or key. Only admins have it. */
export function ScopeSwitch() {
  const { isAdmin } = useScope();
  return isAdmin ? <Choice /> : null;
}

function Choice() {
  const t = useMessages();
  const { scope, choose } = useScope();
  const users = useUsers("").data?.pages.flatMap((page) => page.items) ?? [];
  const plans = usePlans().data ?? [];
  const keys = useOverview(scope).data?.keys ?? [];
  const options = [
    { name: t.scope.users, options: users.map((user) => [`user:${user.id}`, user.name]) },
    { name: t.scope.plans, options: plans.map((plan) => [`plan:${plan.name}`, plan.name]) },
    { name: t.scope.keys, options: keys.map((key) => [`key:${key.id}`, `${key.label} …${key.last4}${key.user ? ` · ${key.user.name}` : ""}`]) },
  ];
  const isKnown = scope === "" || scope === "all" || options.some((group) => group.options.some(([name]) => name === scope));
  return (
    <select className="in h-8 w-60 max-sm:w-36" aria-label={t.scope.label} value={scope} onChange={(event) => choose(event.target.value)}>
      <option value="all">{t.scope.all}</option>
      <option value="">{t.scope.me}</option>
      {!isKnown && <option value={scope}>{scope}</option>}
      {options.map((group) => group.options.length > 0 && (
        <optgroup key={group.name} label={group.name}>
          {group.options.map(([name, text]) => (
            <option key={name} value={name}>{text}</option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}
