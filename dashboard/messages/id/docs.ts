import type { Messages } from "@/messages/en";

export const docs: Messages["docs"] = {
  title: "Dokumentasi",
  start: "Mulai",
  startText: "Anda perlu akun dan kunci. Akun diberikan oleh orang yang menjalankan server ini; kunci Anda buat sendiri.",
  key: "Dapatkan kunci",
  keySteps: [
    "Masuk dengan email dan kata sandi, atau dengan kunci yang sudah Anda miliki.",
    "Buka Kunci dan pilih Buat kunci. Beri nama aplikasi yang akan memakainya.",
    "Salin kunci itu. Kunci ditampilkan satu kali; server hanya menyimpan hash-nya.",
  ],
  keyLimits:
    "Kunci dapat memiliki batas sendiri: model, rute, jaringan, kredit per hari, permintaan per menit, dan masa berlaku. Rotasi mengganti rahasia kunci; yang lama boleh tetap berlaku selama masa tenggang.",
  call: "Lakukan panggilan",
  callText: "Kirim kunci sebagai bearer token ke URL dasar klien Anda:",
  agents: "Atur agen",
  agentsText: "Perintah ini meminta kunci dan mengatur agen di komputer Anda. Tambahkan --undo untuk membatalkan.",
  demo: "Kunci demo",
  demoText:
    "Server yang dijalankan dengan --demo mencetak satu kunci untuk setiap pengguna demo. Kunci itu memanggil model mock, yang tidak mengirim apa pun ke penyedia. Harganya hanya contoh.",
  errors: "Kesalahan",
  errorsText: "Permintaan yang ditolak memiliki isi JSON dengan kode, pesan, dan status. Pada jalur LLM, isinya memakai format API penyedia.",
  errorCodes: [
    ["401 key_unknown, key_revoked, key_expired", "Kunci salah atau sudah berakhir. Buat yang lain."],
    ["403 forbidden", "Kunci tidak boleh memakai model, rute, atau jaringan ini."],
    ["404 model_not_found", "Tidak ada penyedia yang melayani nama model ini."],
    ["429 rate_limited", "Terlalu banyak permintaan dalam satu menit. Tunggu selama yang disebut Retry-After."],
    ["429 quota_exceeded", "Kredit hari ini habis. Kredit kembali pada tengah malam UTC. Klien OpenAI melihat insufficient_quota."],
    ["429 budget_exceeded", "Anggaran uang atau token habis sampai periodenya berakhir. Klien OpenAI melihat insufficient_quota."],
    ["502, 503, 504", "Penyedia gagal atau tidak terjangkau. Coba lagi nanti."],
  ],
  limits: "Batas",
  limitsText:
    "Paket menetapkan kuota kredit per hari UTC dan laju per kunci. Anggaran membatasi uang, kredit, atau token per hari atau bulan. Jumlahnya dicadangkan sebelum panggilan dan diselesaikan sesudahnya, sehingga panggilan paralel tidak dapat melampaui batas.",
  api: "API admin",
  apiText: "Semua yang ada di dasbor juga merupakan API. Referensinya memuat setiap bidang, kesalahan, dan contoh.",
  apiLink: "Buka referensi API",
  documents: "Semua dokumen",
  documentsText: "Panduan dan referensi versi ini dalam bahasa Inggris, untuk orang yang menjalankan server ini.",
};
