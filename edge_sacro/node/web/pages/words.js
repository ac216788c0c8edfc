// What the page calls things. Shapes stand beside colours, so that no colour carries a meaning alone.

export const OUTCOMES = {
  positive: { shape: "▲", word: "Positive", title: "Positive for radiographic sacroiliitis" },
  negative: { shape: "●", word: "Negative", title: "Negative for radiographic sacroiliitis" },
  borderline: { shape: "◆", word: "Borderline", title: "Borderline: too close to decide" },
  not_assessable: { shape: "□", word: "Not assessable", title: "Not assessable: no result" },
  refused: { shape: "✕", word: "Refused", title: "Refused: no result" },
};

export const STATES = {
  received: "Waiting",
  assessing: "Being assessed",
  sending: "Sending",
  delivered: "Done",
  refused: "Refused",
  quarantined: "Set aside",
};

export const EXPLAINED = {
  received: "It waits to be assessed. There is no result yet.",
  assessing: "It is being assessed. There is no result yet.",
  quarantined: "It was set aside: a person has to look at it. It is not tried again by itself.",
  borderline:
    "The probability is so close to the cut-off that the noise of the detector alone could turn the answer. " +
    "It is neither positive nor negative: a person has to decide.",
  not_assessable: "This is no negative result. The radiograph has to be read without it, or taken again.",
  refused: "This is no negative result. The file was not taken for a radiograph of the pelvis that can be assessed.",
};

export const FILES = {
  "sr.dcm": "Structured report (DICOM SR)",
  "seg.dcm": "Segmentation (DICOM SEG)",
  "pr.dcm": "Presentation state (DICOM GSPS)",
  "sc.dcm": "Picture for any viewer (DICOM SC)",
  "report.json": "Report (JSON)",
  "overlay.png": "Picture with boxes (PNG)",
  "gradcam.png": "Heat map alone (PNG)",
};

export const DELIVERIES = {
  waiting: "to be sent",
  confirming: "sent, to be confirmed",
  stored: "stored",
  committed: "stored, kept",
  rejected: "refused for good",
};

/** Local time; the date too, where it is not today's. */
export function time(text) {
  const moment = new Date(text);
  const clock = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return moment.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
}

/** YYYYMMDD as YYYY-MM-DD; anything else as it is. */
export const date = (text) => (text ?? "").replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export const sentence = (text) => {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
};
