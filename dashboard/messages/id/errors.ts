import type { Messages } from "@/messages/en";

export const errors: Messages["errors"] = {
  unknown: "Bagian halaman ini gagal",
  offline: "Server tidak merespons",
  offlineText: "Periksa jaringan Anda. Halaman ini mencoba lagi sendiri.",
  late: "Server tidak merespons dalam 30 detik",
  lateText: "Server mungkin sibuk. Coba lagi sebentar lagi.",
  limited: "Terlalu banyak permintaan",
  limitedText: (seconds) => `Coba lagi dalam ${seconds} detik.`,
  failed: (status) => `Server gagal${status === 0 ? "" : ` (${status})`}`,
  failedText: "Bagian lain halaman tetap berfungsi. Coba lagi; jika berulang, kirim id permintaan kepada operator.",
  refused: "Permintaan ditolak",
  requestId: "permintaan",
  retry: "Coba lagi",
  offlineBar: "Server tidak merespons. Angka mungkin sudah lama; halaman mencoba lagi sendiri.",
  clockAhead: (amount) => `Jam perangkat ini ${amount} lebih cepat dari server. “Hari ini”, masa berlaku, dan umur salah sampai jam diperbaiki.`,
  clockBehind: (amount) => `Jam perangkat ini ${amount} lebih lambat dari server. “Hari ini”, masa berlaku, dan umur salah sampai jam diperbaiki.`,
  otherUser: (now, before) => `Tab lain masuk sebagai ${now}. Halaman ini kini menampilkan dan mengubah data ${now}, bukan lagi data ${before}.`,
  stale: (time) => `Diperbarui ${time}`,
};
