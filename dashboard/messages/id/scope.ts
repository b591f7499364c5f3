import type { Messages } from "@/messages/en";

export const scope: Messages["scope"] = {
  label: "Pemakaian",
  all: "Semua pengguna",
  me: "Hanya saya",
  users: "Pengguna",
  plans: "Paket",
  keys: "Kunci",
  user: "Pengguna",
  topUsers: "Pengguna bulan ini",
  topRoutes: "Rute bulan ini",
  order: "Urutan",
  orders: { most_spent: "Biaya", most_requests: "Permintaan", most_errors: "Gagal" },
  none: "Tidak ada permintaan bulan ini",
  month: "Biaya bulan ini",
  lastUse: "Terakhir dipakai",
  never: "Belum pernah",
  showUsage: (name) => `Tampilkan pemakaian ${name}`,
};
