import { ADMIN_PAGES } from "@/features/frame/pages";
import { useMe } from "@/lib/queries";

/** The pages of administration that the reader may open. */
export function useAdminPages(): typeof ADMIN_PAGES {
  return useMe().data?.acts_as === "admin" ? ADMIN_PAGES : [];
}
