import type { Messages } from "@/messages/en";

export const review: Messages["review"] = {
  title: (day) => `Tinjauan ${day}`,
  day: "Hari",
  states: {
    collecting: "Mengumpulkan pemakaian",
    ready: "Siap",
    partly_approved: "Disetujui sebagian",
    approved: "Disetujui",
    rejected: "Ditolak",
    reopened: "Dibuka kembali",
  },
  roleStates: { waiting: "Menunggu", approved: "Disetujui", rejected: "Ditolak" },
  changed: (requests, cost) => `Sejak persetujuan terakhir: ${requests} permintaan, ${cost}`,
  changedApart: (refused, cost) => `Selain itu: ${refused} permintaan ditolak, ${cost} dari kredensial milik pengguna`,
  history: "Keputusan",
  at: "Waktu",
  role: "Peran",
  decision: "Keputusan",
  comment: "Komentar",
  commentHint: "Penolakan memerlukan komentar",
  signoff: "Tanda tangani",
  approve: "Setujui",
  reject: "Tolak",
  failed: "Keputusan tidak disimpan",
};
