import type { Messages } from "@/messages/en";

export const requests: Messages["requests"] = {
  title: "Permintaan",
  live: "Langsung",
  loading: "Memuat",
  notLive: "Tidak mutakhir",
  time: "Waktu",
  status: "Status",
  model: "Model",
  reason: "Penyedia atau alasan",
  key: "Kunci",
  tokens: "Token",
  cost: "Biaya",
  duration: "Durasi",
  none: "Belum ada permintaan",
  noneText: "Permintaan pertama dari klien muncul di sini dalam beberapa detik.",
  noneFiltered: "Tidak ada permintaan yang cocok dengan filter",
  clear: "Hapus filter",
  ordinary: "Permintaan API",
  anonymous: "Tanpa kredensial",
};
