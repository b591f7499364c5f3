import type { Messages } from "@/messages/en";

export const frame: Messages["frame"] = {
  skip: "Lewati ke isi",
  main: "Utama",
  overview: "Ikhtisar",
  usage: "Pemakaian",
  keys: "Kunci",
  models: "Model",
  providers: "Penyedia",
  more: "Lainnya",
  documentation: "Dokumentasi",
  apiReference: "Referensi API",
  changeTheme: "Ganti tema",
  language: "Bahasa",
  loading: "Memuat",
  zone: (zone) => `Waktu dalam ${zone}`,
  plan: (plan, role) => `Paket ${plan} · ${role}`,
  roles: { admin: "admin", member: "anggota" },
  signOut: "Keluar",
  account: "Akun",
  gateway: "Gateway",
  close: "Tutup",
};
