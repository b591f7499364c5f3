import type { Messages } from "@/messages/en";

export const palette: Messages["palette"] = {
  title: "Cari atau buka",
  placeholder: "Halaman, tindakan, kunci, atau model",
  results: "Hasil",
  nothing: (text) => `Tidak ada yang bernama “${text}”`,
  groups: { pages: "Halaman", actions: "Tindakan", keys: "Kunci", models: "Model", users: "Pengguna", plans: "Paket" },
  language: "English",
  shortcuts: "Pintasan papan ketik",
  single: "Tombol tunggal adalah pintasan di luar kolom teks",
};
