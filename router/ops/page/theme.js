// Runs before the page is drawn, so that it never flashes in the wrong colours.
(() => {
  let kept = '';
  try {
    kept = localStorage.getItem('signalbox.theme') || '';
  } catch { /* storage is switched off: as the system */ }
  if (kept === 'dark' || kept === 'light') document.documentElement.dataset.theme = kept;
})();
