import { ADMIN_PAGES, PAGES } from "@/features/frame/pages";
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
  const isFirst = ({ name }: (typeof ADMIN_PAGES)[number]) => site && !site.llm && (name === "upstreams" || name === "routes");
  // An earlier version of the server, beside this one, names no roles.
  const roles: readonly string[] | undefined = me?.roles;
  const mayOpen = ({ isFinance, isOfRoles }: (typeof ADMIN_PAGES)[number]) =>
    me?.acts_as === "admin" || (isFinance && me?.finance) || (isOfRoles && (roles?.length ?? 0) > 0);
  const pages = ADMIN_PAGES.filter((page) => mayOpen(page) && (!page.isBilling || site?.billing));
  return [...pages.filter(isFirst), ...pages.filter((page) => !isFirst(page))];
}
