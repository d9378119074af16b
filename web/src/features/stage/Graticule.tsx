/** The scale of an instrument that is on and waits for a signal. */
export function Graticule() {
  const ticks = Array.from({ length: 36 }, (_, i) => i * 10);
  return (
    <svg className="graticule" viewBox="-100 -100 200 200" aria-hidden="true">
      <circle r="78" />
      <circle r="39" strokeDasharray="0.6 1.2" />
      <path d="M-92 0H-60M60 0H92M0-92V-60M0 60V92" />
      {ticks.map((angle) => (
        <path key={angle} d={angle % 30 ? "M78 0h3" : "M78 0h6"} transform={`rotate(${String(angle)})`} />
      ))}
    </svg>
  );
}
