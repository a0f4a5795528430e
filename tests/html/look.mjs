// Opens the page that `portward --format html` wrote in a real browser, as a person would: by eye, by keyboard, offline.
// usage: node look.mjs PLAYWRIGHT_FOLDER PAGE.html OUT_FOLDER
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const [modules, page_file, out] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, 'x.js'))('playwright-core');
let failed = 0;
let passed = 0;
const check = (what, holds) => {
  if (holds) passed += 1;
  else { failed += 1; console.log(`FAILED: ${what}`); }
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
for (const colorScheme of ['light', 'dark']) {
  const context = await browser.newContext({ colorScheme, offline: true, viewport: { width: 1440, height: 1000 } });
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  const url = pathToFileURL(page_file).href;
  await page.goto(url);
  await page.screenshot({ path: path.join(out, `${colorScheme}.png`) });

  check(`${colorScheme}: nothing but the page is asked for: ${requests}`, requests.length === 1);
  check(`${colorScheme}: the browser has nothing to complain of: ${complaints}`, complaints.length === 0);
  check('no script is in the page', await page.locator('script').count() === 0);
  check('the page itself does not scroll sideways',
    await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  const rows = await page.locator('.scroll tbody tr').count();
  check('there is a row for every section, and some', rows > 0 && rows === await page.locator('main > section > details').count());
  check('every cell says in words who gets in', (await page.locator('.scroll tbody td').allInnerTexts())
    .every((text) => /nobody|named|wide|everyone/.test(text)));

  // A colour is never below the contrast that WCAG asks of small text.
  const worst = await page.evaluate(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (c) => c.slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const color = rgb(getComputedStyle(e).backgroundColor);
        if (color[3] === 255) return color;
      }
      return [255, 255, 255, 255];
    };
    let least = { ratio: 99 };
    for (const e of document.querySelectorAll('body *')) {
      if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.closest('.sr, details > div')) continue;
      const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < least.ratio) least = { ratio, text: e.textContent.slice(0, 40), of: e.outerHTML.slice(0, 80) };
    }
    return least;
  });
  check(`${colorScheme}: contrast ${JSON.stringify(worst)}`, worst.ratio >= 4.5);

  // By keyboard alone: to the first instance, and into its details.
  const first = page.locator('.scroll tbody a').first();
  await first.focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('main > section > details').open);
  check('a name opens its details', await page.locator('main > section > details').first().locator('div').isVisible());
  await page.locator('main > section > details > summary').nth(1).focus();
  await page.keyboard.press('Enter');
  check('a section opens by keyboard', await page.locator('main > section > details').nth(1).evaluate((e) => e.open));
  await page.screenshot({ path: path.join(out, `${colorScheme}-open.png`), fullPage: true });

  await page.setViewportSize({ width: 390, height: 800 });
  check('it fits a phone', await page.evaluate(
    () => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  await page.screenshot({ path: path.join(out, `${colorScheme}-phone.png`) });
  await context.close();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
