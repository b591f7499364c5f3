import type { Messages } from "@/messages/en";

export const landing: Messages["landing"] = {
  title: "Satu alamat untuk setiap model dan API",
  lead: (name) =>
    `Arahkan klien Anda ke gateway ini dan pakai satu kunci. ${name} menerapkan kuota dan anggaran serta mencatat biaya setiap permintaan, penyedia mana pun yang merespons.`,
  signIn: "Masuk",
  getKey: "Dapatkan kunci",
  openAi: "URL dasar OpenAI",
  openAiUses: "Chat completions, responses, embeddings",
  anthropic: "URL dasar Anthropic",
  anthropicUses: "Messages, hitungan token",
  google: "URL dasar Google",
  googleUses: "generateContent, streamGenerateContent",
  noLlm: "Gateway ini melayani API biasa. Operatornya memberi tahu Anda alamatnya.",
  client: "Klien",
  ready: (version) => `Siap · ${version}`,
  codexNote: "# Menulis ~/.codex/config.toml; --undo membatalkannya",
  claudeNote: "# Menulis ~/.claude/settings.json; --undo membatalkannya",
  receipt: "Biaya satu permintaan",
  receiptExample: "Contoh",
  happens: "Yang terjadi pada sebuah permintaan",
  steps: [
    ["Kunci diperiksa.", "Pemilik, model, rute, dan jaringannya."],
    ["Batas dicadangkan.", "Kredit, laju, dan anggaran diambil sebelum panggilan, dan dikembalikan jika gagal."],
    ["Penyedia dipanggil.", "Jika percobaan gagal tanpa dampak, percobaan lain dilakukan."],
    ["Panggilan ditagih.", "Token dihitung per kelas, dengan harga yang berlaku."],
  ],
  apis: {
    title: "Satu alamat untuk setiap API",
    lead: (name) => `Arahkan klien Anda ke gateway ini dan pakai satu kunci. ${name} memeriksa pemanggil, menerapkan batas, dan mencatat setiap permintaan, backend mana pun yang merespons.`,
    steps: [
      ["Klien diperiksa.", "Kunci atau token, rute, dan jaringannya."],
      ["Batas dicadangkan.", "Laju dan kuota diambil sebelum panggilan."],
      ["Backend dipanggil.", "Jika percobaan gagal tanpa dampak, percobaan lain dilakukan."],
      ["Panggilan dicatat.", "Status, byte, dan waktu, untuk pemakaian setiap kunci."],
    ],
  },
  gettingKey: "Mendapatkan kunci",
  gettingKeyText:
    "Masuk, buka Kunci, dan buat satu kunci untuk setiap aplikasi. Kunci ditampilkan satu kali. Tanpa akun, mintalah kepada orang yang menjalankan server ini.",
  gettingKeyLink: "Cara kerja kunci",
  refused: "Saat panggilan ditolak",
  refusedText: (code) =>
    `Setiap penolakan memiliki kode dan kalimat tentang apa yang harus dilakukan. Misalnya, ${code} berakhir saat kuota diatur ulang pada tengah malam UTC.`,
  refusedLink: "Tentang kesalahan",
  agents: "Agen pemrograman",
  agentsText: "Satu perintah mengatur Codex CLI atau Claude Code untuk gateway ini. Perintah itu meminta kunci Anda dan dapat dibatalkan.",
  agentsLink: "Atur agen",
};
