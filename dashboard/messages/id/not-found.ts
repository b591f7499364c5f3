import type { Messages } from "@/messages/en";

export const notFound: Messages["notFound"] = { title: "Halaman ini tidak ada", text: "Alamatnya mungkin salah ketik, atau halamannya dipindahkan.", home: "Buka halaman awal" };
