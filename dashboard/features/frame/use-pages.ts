import { ADMIN_PAGES, PAGES, type PageGroup } from "@/features/frame/pages";
import { useMe, useSite } from "@/lib/queries";

/** The pages of this server: one without LLM endpoints has no models, providers and playground, and one that sells no plans no billing. */
export function usePages(): typeof PAGES {
  const site = useSite().data;
  return PAGES.filter(({ isLlm, isBilling }) => (isLlm ? !site || site.llm : !isBilling || site?.billing));
}

/** The pages of administration that the reader may open. Without LLM endpoints, those of the traffic are the first ones. */
export function useAdminPages(): typeof ADMIN_PAGES {
  const site = useSite().data;
  const me = useMe().data;
  const isFirst = ({ group }: (typeof ADMIN_PAGES)[number]) => site && !site.llm && group === "gateway";
  // An earlier version of the server, beside this one, names no roles.
  const roles: readonly string[] | undefined = me?.roles;
  const mayOpen = ({ isFinance, isOfRoles }: (typeof ADMIN_PAGES)[number]) =>
    me?.acts_as === "admin" || (isFinance && me?.finance) || (isOfRoles && (roles?.length ?? 0) > 0);
  const pages = ADMIN_PAGES.filter((page) => mayOpen(page) && (!page.isBilling || site?.billing));
  return [...pages.filter(isFirst), ...pages.filter((page) => !isFirst(page))];
}

/** The pages of administration in their groups, without empty ones. */
export function useAdminGroups(): { group: PageGroup; pages: typeof ADMIN_PAGES }[] {
  const pages = useAdminPages();
  const groups = [...new Set(pages.map(({ group }) => group ?? "gateway"))];
  return groups.map((group) => ({ group, pages: pages.filter((page) => (page.group ?? "gateway") === group) }));
}
