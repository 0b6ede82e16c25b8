# Draws the table of report.py:  gnuplot -e "table='peers.tsv'; picture='peers.svg'" peers.gnuplot
set terminal svg size 840,520 dynamic noenhanced background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
unset key
set xrange [0:*]
set yrange [] reverse
set lmargin 44
set rmargin 6
set xlabel 'ns per vocabulary entry, forward KL and its gradient'
set grid xtics lc rgb '#dddddd'
set style fill solid
set boxwidth 0.7
ours(name) = strstrt(name, 'distill') == 1 ? 0x1b7837 : 0x67a9cf
plot table skip 1 using (0):0:(0):2:($0-0.35):($0+0.35):(ours(strcol(1))):ytic(1) with boxxyerror lc rgb variable, \
     table skip 1 using ($2+0.3):0:(sprintf('%.2g', $2)) with labels left
