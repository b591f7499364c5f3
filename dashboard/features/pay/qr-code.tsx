"use client";

import { Download } from "lucide-react";
import { useMemo } from "react";
import { encode } from "uqr";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";
import { saveBlob } from "@/lib/save";

/** The quiet zone around a code that readers need (ISO/IEC 18004). */
const BORDER = 4;
/** Pixels of a module in the saved picture. */
const SCALE = 12;

interface QrCodeProps {
  text: string;
  label: string;
  /** The name of the saved picture. */
  file: string;
}

/** A QR code, drawn in the browser, and a button that saves it as a picture for a phone. */
export function QrCode({ text, label, file }: QrCodeProps) {
  const t = useMessages();
  const { data, size } = useMemo(() => encode(text, { ecc: "M", border: BORDER }), [text]);
  const path = useMemo(() => data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join(""), [data]);
  return (
    <div className="qr">
      <svg viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
        <path d={`M0 0h${size}v${size}H0z`} fill="var(--qr-paper)" />
        <path d={path} fill="var(--qr-ink)" />
      </svg>
      <Button size="small" onClick={() => void picture(data).then((blob) => blob && saveBlob(file, blob))}>
        <Download className="i s" aria-hidden />
        {t.pay.savePicture}
      </Button>
    </div>
  );
}

function picture(modules: boolean[][]): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = modules.length * SCALE;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  if (context) {
    context.fillStyle = style.getPropertyValue("--qr-paper");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = style.getPropertyValue("--qr-ink");
    modules.forEach((row, y) => row.forEach((isDark, x) => isDark && context.fillRect(x * SCALE, y * SCALE, SCALE, SCALE)));
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
