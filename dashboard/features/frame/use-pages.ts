import { ADMIN_PAGES, PAGES } from "@/features/frame/pages";
import { useMe, useSite } from "@/lib/queries";

/** The pages of this server: one without LLM endpoints has no models, providers and playground. */
export function usePages(): typeof PAGES {
  const site = useSite().data;
  return site && !site.llm ? PAGES.filter(({ isLlm }) => !isLlm) : PAGES;
}

/** The pages of administration that the reader may open. */
export function useAdminPages(): typeof ADMIN_PAGES {
  return useMe().data?.acts_as === "admin" ? ADMIN_PAGES : [];
}
